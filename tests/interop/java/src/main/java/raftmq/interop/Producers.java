package raftmq.interop;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/** The producing side: plain sends, a load at a fixed rate, transactions. */
final class Producers implements Agent.Part {
    private final Clients clients;
    private DefaultMQProducer producer;
    private TransactionMQProducer transactions;
    private Load load;
    private final ExecutorService senders = Executors.newCachedThreadPool();

    /** What the local transaction says, and later the check, for each key. */
    private final Map<String, LocalTransactionState> decisions = new ConcurrentHashMap<>();

    /** Of the delayed messages sent, by key. */
    private final Map<String, String> handles = new ConcurrentHashMap<>();

    private final Map<String, AtomicInteger> checks = new ConcurrentHashMap<>();
    private final Map<String, CountDownLatch> held = new ConcurrentHashMap<>();

    Producers(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("producer", words -> startProducer(words[1], words.length > 2 ? words[2] : ""));
        commands.put("send", this::send);
        commands.put("later", words -> later(words[1], words[2], words[3], words[4]));
        commands.put("recall", words -> recall(words[1], words[2]));
        commands.put("load", words -> startLoad(words[1], Integer.parseInt(words[2])));
        commands.put("loadstop", words -> stopLoad());
        commands.put("txproducer", words -> startTransactions(words[1]));
        commands.put("txstop", words -> stopTransactions());
        commands.put("half", words -> half(words[1], words[2], words[3], words[4]));
        commands.put("release", words -> release(words[1], words[2]));
        commands.put("decide", words -> decide(words[1], words[2]));
        commands.put("checks", words -> String.valueOf(checkCount(words[1])));
    }

    @Override
    public void shutdown() {
        senders.shutdownNow();
        if (producer != null) {
            producer.shutdown();
        }
        if (transactions != null) {
            transactions.shutdown();
        }
    }

    /** With a number of milliseconds no try takes longer, as long as the client may try again. */
    private String startProducer(String group, String tryMs) throws Exception {
        producer = new DefaultMQProducer(group);
        clients.configure(producer, "producer");
        if (!tryMs.isEmpty()) {
            // By name: clients before 5.3.3 lack the setting.
            DefaultMQProducer.class
                    .getMethod("setSendMsgMaxTimeoutPerRequest", int.class)
                    .invoke(producer, Integer.parseInt(tryMs));
        }
        producer.start();
        return group;
    }

    private static Message message(String topic, String tag, String key) {
        byte[] body = ("body of " + key).getBytes(StandardCharsets.UTF_8);
        return new Message(topic, tag, key, body);
    }

    /** Topic, tag, key, and any number of properties: name=value. */
    private String send(String[] words) throws Exception {
        Message message = message(words[1], words[2], words[3]);
        for (int i = 4; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            message.putUserProperty(pair[0], pair[1]);
        }
        return describe(producer.send(message));
    }

    /** With a delay by any of its properties: the client of 4.9 has no methods for the newer. */
    private String later(String topic, String key, String property, String value)
            throws Exception {
        Message message = message(topic, "later", key);
        MessageAccessor.putProperty(message, property, value);
        SendResult result = producer.send(message);
        handles.put(key, handleOf(result));
        return describe(result);
    }

    /** The client of 4.9 has neither handles nor a way to use them. */
    private static String handleOf(SendResult result) throws Exception {
        try {
            Object handle = SendResult.class.getMethod("getRecallHandle").invoke(result);
            return String.valueOf(handle);
        } catch (NoSuchMethodException e) {
            return "";
        }
    }

    /** Take back what was sent "later" under that key; its message id. */
    private String recall(String topic, String key) throws Exception {
        Method recall =
                DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class);
        try {
            return String.valueOf(recall.invoke(producer, topic, handles.get(key)));
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    private static String describe(SendResult result) {
        return result.getSendStatus()
                + " "
                + result.getMsgId()
                + " "
                + result.getMessageQueue().getBrokerName()
                + " "
                + result.getMessageQueue().getQueueId()
                + " "
                + result.getQueueOffset();
    }

    /** Sends at a rate until it is stopped; a send that fails after the client's retries counts. */
    private final class Load implements Runnable {
        final String topic;
        final int rate;
        final AtomicLong sent = new AtomicLong();
        final AtomicLong failed = new AtomicLong();
        volatile String firstFailure = "";
        volatile long slowestMs;
        volatile boolean stopping;
        final CountDownLatch stopped = new CountDownLatch(1);

        Load(String topic, int rate) {
            this.topic = topic;
            this.rate = rate;
        }

        @Override
        public void run() {
            long start = System.nanoTime();
            AtomicLong next = new AtomicLong();
            CountDownLatch done = new CountDownLatch(THREADS);
            for (int i = 0; i < THREADS; i++) {
                senders.execute(
                        () -> {
                            while (!stopping) {
                                sendOne(start, next.getAndIncrement());
                            }
                            done.countDown();
                        });
            }
            try {
                done.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            stopped.countDown();
        }

        private void sendOne(long start, long number) {
            long due = start + number * 1_000_000_000L / rate;
            long wait = due - System.nanoTime();
            try {
                if (wait > 0) {
                    TimeUnit.NANOSECONDS.sleep(wait);
                }
                long before = System.nanoTime();
                SendResult result = producer.send(message(topic, "load", "load-" + number));
                long ms = (System.nanoTime() - before) / 1_000_000;
                slowestMs = Math.max(slowestMs, ms);
                if (ms > SLOW_MS) {
                    System.err.println(
                            java.time.Instant.now() + " slow send: " + ms + " ms " + result);
                }
                if (result.getSendStatus() != SendStatus.SEND_OK) {
                    throw new IllegalStateException(result.getSendStatus().name());
                }
                sent.incrementAndGet();
            } catch (Exception e) {
                failed.incrementAndGet();
                System.err.println(java.time.Instant.now() + " send failed: " + e);
                if (firstFailure.isEmpty()) {
                    firstFailure = String.valueOf(e).replace('\n', ' ');
                }
            }
        }
    }

    private static final int THREADS = 16;
    private static final long SLOW_MS = 1000;

    private String startLoad(String topic, int rate) {
        load = new Load(topic, rate);
        senders.execute(load);
        return "";
    }

    private String stopLoad() throws Exception {
        load.stopping = true;
        load.stopped.await(30, TimeUnit.SECONDS);
        return load.sent + " " + load.failed + " " + load.slowestMs + " " + load.firstFailure;
    }

    private static LocalTransactionState state(String word) {
        switch (word) {
            case "commit":
                return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback":
                return LocalTransactionState.ROLLBACK_MESSAGE;
            default:
                return LocalTransactionState.UNKNOW;
        }
    }

    private String startTransactions(String group) throws Exception {
        transactions = new TransactionMQProducer(group);
        clients.configure(transactions, "transactions");
        transactions.setTransactionListener(
                new TransactionListener() {
                    @Override
                    public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                        String word = (String) arg;
                        CountDownLatch latch = held.get(m.getKeys());
                        if (latch == null) {
                            return state(word);
                        }
                        try {
                            latch.await();
                        } catch (InterruptedException e) {
                            return LocalTransactionState.UNKNOW;
                        }
                        return decisions.get(m.getKeys());
                    }

                    @Override
                    public LocalTransactionState checkLocalTransaction(MessageExt m) {
                        checks.computeIfAbsent(m.getKeys(), k -> new AtomicInteger())
                                .incrementAndGet();
                        return decisions.getOrDefault(m.getKeys(), LocalTransactionState.UNKNOW);
                    }
                });
        transactions.start();
        return group;
    }

    private String stopTransactions() {
        transactions.shutdown();
        transactions = null;
        return "";
    }

    /**
     * Send a half message; its local transaction says commit, rollback or unknown at once. With
     * "hold" it waits for a "release" and the answer of this command comes before that.
     */
    private String half(String topic, String tag, String key, String decision) throws Exception {
        Message message = message(topic, tag, key);
        if (!decision.equals("hold")) {
            TransactionSendResult result =
                    transactions.sendMessageInTransaction(message, decision);
            return describe(result);
        }
        held.put(key, new CountDownLatch(1));
        senders.execute(
                () -> {
                    try {
                        transactions.sendMessageInTransaction(message, decision);
                    } catch (Exception e) {
                        System.err.println("held half: " + e);
                    }
                });
        return "held";
    }

    private static String describe(TransactionSendResult result) {
        return result.getSendStatus()
                + " "
                + result.getTransactionId()
                + " "
                + result.getLocalTransactionState()
                + " "
                + result.getMessageQueue().getBrokerName();
    }

    private String release(String key, String decision) {
        decisions.put(key, state(decision));
        held.remove(key).countDown();
        return "";
    }

    private String decide(String key, String decision) {
        decisions.put(key, state(decision));
        return "";
    }

    private int checkCount(String key) {
        AtomicInteger count = checks.get(key);
        return count == null ? 0 : count.get();
    }
}
