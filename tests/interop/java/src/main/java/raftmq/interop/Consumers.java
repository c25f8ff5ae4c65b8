package raftmq.interop;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** The consuming side: consumers that remember what they saw, by key. */
final class Consumers implements Agent.Part {
    private final Clients clients;
    private final List<DefaultMQPushConsumer> consumers = new CopyOnWriteArrayList<>();
    private final List<DefaultLitePullConsumer> pullers = new CopyOnWriteArrayList<>();
    private final Map<String, List<MessageExt>> seen = new ConcurrentHashMap<>();
    private final AtomicLong total = new AtomicLong();

    /** From birth to the first delivery, by key. */
    private final Map<String, Long> delaysMs = new ConcurrentHashMap<>();

    Consumers(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put(
                "consumer", words -> start(words[1], words[2], MessageSelector.byTag(rest(words))));
        commands.put(
                "sqlconsumer", words -> start(words[1], words[2], MessageSelector.bySql(rest(words))));
        commands.put(
                "sqlpuller", words -> pull(words[1], words[2], MessageSelector.bySql(rest(words))));
        commands.put(
                "flaky",
                words ->
                        startFlaky(
                                words[1],
                                words[2],
                                Integer.parseInt(words[3]),
                                Integer.parseInt(words[4])));
        commands.put("broadcast", words -> startBroadcast(words[1], words[2]));
        commands.put("attempts", words -> attempts(words[1]));
        commands.put("delay", words -> String.valueOf(delaysMs.get(words[1])));
        commands.put("seen", words -> describe(words[1]));
        commands.put("total", words -> total + " " + seen.size());
        commands.put("consumerstop", words -> stop());
    }

    @Override
    public void shutdown() {
        stop();
    }

    /** The expression, which may have spaces, after group and topic. */
    private static String rest(String[] words) {
        return String.join(" ", Arrays.asList(words).subList(3, words.length));
    }

    private String start(String group, String topic, MessageSelector selector) throws Exception {
        return start(configured(group), topic, selector, 0);
    }

    /** Fails at the first deliveries of each message; at most attemptsMax retries. */
    private String startFlaky(String group, String topic, int failures, int attemptsMax)
            throws Exception {
        DefaultMQPushConsumer consumer = configured(group);
        consumer.setMaxReconsumeTimes(attemptsMax);
        return start(consumer, topic, MessageSelector.byTag("*"), failures);
    }

    private String startBroadcast(String group, String topic) throws Exception {
        DefaultMQPushConsumer consumer = configured(group);
        // Without its name, which lies in another package since 5.0.
        consumer.setMessageModel(
                Enum.valueOf(consumer.getMessageModel().getDeclaringClass(), "BROADCASTING"));
        return start(consumer, topic, MessageSelector.byTag("*"), 0);
    }

    private DefaultMQPushConsumer configured(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        clients.configure(consumer, "consumer-" + consumers.size());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    private String start(
            DefaultMQPushConsumer consumer, String topic, MessageSelector selector, int failures)
            throws Exception {
        consumer.subscribe(topic, selector);
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> {
                            messages.forEach(this::remember);
                            // One at a time is this client's default.
                            return messages.get(0).getReconsumeTimes() < failures
                                    ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                                    : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        });
        consumer.start();
        consumers.add(consumer);
        return "";
    }

    /** A lite pull consumer, polled by a thread until it is stopped. */
    private String pull(String group, String topic, MessageSelector selector) throws Exception {
        DefaultLitePullConsumer puller = new DefaultLitePullConsumer(group);
        clients.configure(puller, "puller-" + pullers.size());
        puller.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        puller.subscribe(topic, selector);
        puller.start();
        pullers.add(puller);
        Thread poller =
                new Thread(
                        () -> {
                            while (puller.isRunning()) {
                                puller.poll(POLL_MS).forEach(this::remember);
                            }
                        });
        poller.setDaemon(true);
        poller.start();
        return "";
    }

    private static final long POLL_MS = 100;

    private void remember(MessageExt message) {
        long age = System.currentTimeMillis() - message.getBornTimestamp();
        delaysMs.putIfAbsent(message.getKeys(), age);
        total.incrementAndGet();
        seen.computeIfAbsent(message.getKeys(), k -> new CopyOnWriteArrayList<>()).add(message);
    }

    /** The last message that came with a key, or null. */
    MessageExt last(String key) {
        List<MessageExt> messages = seen.getOrDefault(key, List.of());
        // It is empty also while remember() is adding the first one.
        return messages.isEmpty() ? null : messages.get(messages.size() - 1);
    }

    /** Of each delivery of a key: its topic and how often it was tried before. */
    private String attempts(String key) {
        StringBuilder text = new StringBuilder();
        for (MessageExt message : seen.getOrDefault(key, List.of())) {
            text.append(message.getTopic()).append(':').append(message.getReconsumeTimes());
            text.append(' ');
        }
        return text.toString();
    }

    private String stop() {
        for (DefaultLitePullConsumer puller : pullers) {
            puller.shutdown();
        }
        pullers.clear();
        for (DefaultMQPushConsumer consumer : consumers) {
            consumer.shutdown();
        }
        consumers.clear();
        return "";
    }

    /** How often a key was delivered, and of the last delivery: transaction id, message id, body. */
    private String describe(String key) {
        MessageExt last = last(key);
        if (last == null) {
            return "0";
        }
        return seen.get(key).size()
                + " "
                + last.getTransactionId()
                + " "
                + last.getMsgId()
                + " "
                + last.getTags()
                + " "
                + new String(last.getBody(), java.nio.charset.StandardCharsets.UTF_8);
    }
}
