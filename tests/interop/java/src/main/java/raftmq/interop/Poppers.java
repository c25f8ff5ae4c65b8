package raftmq.interop;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Push consumers that let the broker tell them what to consume and how (5.x): by pulling or by
 * popping. A message tagged "bad" fails when it comes first, one tagged "hold" is held until the
 * test releases it.
 */
final class Poppers implements Agent.Part {
    private static final long INVISIBLE_MS = 5000;
    private final Clients clients;
    private final List<DefaultMQPushConsumer> consumers = new CopyOnWriteArrayList<>();
    private final Map<String, List<MessageExt>> seen = new ConcurrentHashMap<>();
    private final CountDownLatch held = new CountDownLatch(1);

    Poppers(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("popper", words -> start(words[1], words[2]));
        commands.put("popped", words -> describe(words[1]));
        commands.put("poptotal", words -> String.valueOf(seen.size()));
        commands.put("poprelease", words -> release());
    }

    @Override
    public void shutdown() {
        release();
        consumers.forEach(DefaultMQPushConsumer::shutdown);
    }

    private String start(String group, String topic) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        clients.configure(consumer, "popper-" + consumers.size());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        // The client of 4.9 lacks these.
        consumer.getClass().getMethod("setClientRebalance", boolean.class).invoke(consumer, false);
        consumer.getClass()
                .getMethod("setPopInvisibleTime", long.class)
                .invoke(consumer, INVISIBLE_MS);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> consume(messages.get(0)));
        consumer.start();
        consumers.add(consumer);
        return "";
    }

    private ConsumeConcurrentlyStatus consume(MessageExt message) {
        String tags = message.getTags();
        seen.computeIfAbsent(message.getKeys(), k -> new CopyOnWriteArrayList<>()).add(message);
        if ("hold".equals(tags)) {
            try {
                held.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        return "bad".equals(tags) && message.getReconsumeTimes() == 0
                ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    }

    private String release() {
        held.countDown();
        return "";
    }

    /** Of each delivery of a key: its topic, how often it was tried before, if popped, and where. */
    private String describe(String key) {
        StringBuilder text = new StringBuilder();
        for (MessageExt message : seen.getOrDefault(key, List.of())) {
            text.append(message.getTopic()).append(':').append(message.getReconsumeTimes());
            text.append(message.getProperty("POP_CK") == null ? ":pulled" : ":popped");
            text.append(" at ").append(message.getBrokerName()).append(' ');
        }
        return text.toString();
    }
}
