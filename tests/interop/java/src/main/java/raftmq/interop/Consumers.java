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

    void use(Clients sharedClients) {
        clients = sharedClients;
    }

    void register(Map<String, Agent.Command> commands) {
        commands.put("consumer", words -> start(words[1], words[2], words[3]));
        commands.put("seen", words -> describe(words[1]));
        commands.put("total", words -> total + " " + seen.size());
        commands.put("consumerstop", words -> stop());
    }

    void shutdown() {
        stop();
    }

    private String start(String group, String topic, String expression) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        clients.configure(consumer, "consumer-" + consumers.size());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, expression);
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> {
                            for (MessageExt message : messages) {
                                total.incrementAndGet();
                                seen.computeIfAbsent(
                                                message.getKeys(), k -> new CopyOnWriteArrayList<>())
                                        .add(message);
                            }
                            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        });
        consumer.start();
        consumers.add(consumer);
        return "";
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
