package raftmq.interop;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** The consuming side: push consumers that remember what they saw, by key. */
final class Consumers {
    private Clients clients;
    private final List<DefaultMQPushConsumer> consumers = new CopyOnWriteArrayList<>();
    private final Map<String, List<MessageExt>> seen = new ConcurrentHashMap<>();
    private final AtomicLong total = new AtomicLong();

    /** From birth to the first delivery, by key. */
    private final Map<String, Long> delaysMs = new ConcurrentHashMap<>();

    void use(Clients sharedClients) {
        clients = sharedClients;
    }

    void register(Map<String, Agent.Command> commands) {
        commands.put("consumer", words -> start(words[1], words[2], words[3]));
        commands.put(
                "flaky",
                words ->
                        startFlaky(
                                words[1],
                                words[2],
                                Integer.parseInt(words[3]),
                                Integer.parseInt(words[4])));
        commands.put("attempts", words -> attempts(words[1]));
        commands.put("delay", words -> String.valueOf(delaysMs.get(words[1])));
        commands.put("seen", words -> describe(words[1]));
        commands.put("total", words -> total + " " + seen.size());
        commands.put("consumerstop", words -> stop());
    }

    void shutdown() {
        stop();
    }

    private String start(String group, String topic, String expression) throws Exception {
        return start(configured(group), topic, expression, 0);
    }

    /** Fails at the first deliveries of each message; at most attemptsMax retries. */
    private String startFlaky(String group, String topic, int failures, int attemptsMax)
            throws Exception {
        DefaultMQPushConsumer consumer = configured(group);
        consumer.setMaxReconsumeTimes(attemptsMax);
        return start(consumer, topic, "*", failures);
    }

    private DefaultMQPushConsumer configured(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        clients.configure(consumer, "consumer-" + consumers.size());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    private String start(
            DefaultMQPushConsumer consumer, String topic, String expression, int failures)
            throws Exception {
        consumer.subscribe(topic, expression);
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

    private void remember(MessageExt message) {
        long age = System.currentTimeMillis() - message.getBornTimestamp();
        delaysMs.putIfAbsent(message.getKeys(), age);
        total.incrementAndGet();
        seen.computeIfAbsent(message.getKeys(), k -> new CopyOnWriteArrayList<>()).add(message);
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
        for (DefaultMQPushConsumer consumer : consumers) {
            consumer.shutdown();
        }
        consumers.clear();
        return "";
    }

    /** How often a key was delivered, and of the last delivery: transaction id, message id, body. */
    private String describe(String key) {
        List<MessageExt> messages = seen.get(key);
        if (messages == null) {
            return "0";
        }
        MessageExt last = messages.get(messages.size() - 1);
        return messages.size()
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
