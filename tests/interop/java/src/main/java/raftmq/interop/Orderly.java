package raftmq.interop;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Orderly push consumers of one group, and what broke the order of a queue among them. */
final class Orderly implements Agent.Part {
    private final Clients clients;
    private final Map<String, DefaultMQPushConsumer> consumers = new ConcurrentHashMap<>();
    private final Map<String, Queue> queues = new ConcurrentHashMap<>();

    /** A queue as all consumers together saw it. */
    private static final class Queue {
        final AtomicInteger holders = new AtomicInteger();
        final AtomicLong next = new AtomicLong();
        final AtomicLong repeats = new AtomicLong();
        final AtomicLong gaps = new AtomicLong();
        final AtomicLong overlaps = new AtomicLong();

        void consume(List<MessageExt> messages) {
            if (holders.incrementAndGet() > 1) {
                overlaps.incrementAndGet();
            }
            for (MessageExt message : messages) {
                long offset = message.getQueueOffset();
                long expected = next.get();
                if (offset > expected) {
                    gaps.incrementAndGet();
                } else if (offset < expected) {
                    repeats.incrementAndGet();
                }
                next.accumulateAndGet(offset + 1, Math::max);
            }
            holders.decrementAndGet();
        }
    }

    Orderly(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("orderly", words -> start(words[1], words[2], words[3]));
        commands.put("orderlystop", words -> stop(words[1]));
        commands.put("orderlyseen", words -> describe());
    }

    @Override
    public void shutdown() {
        consumers.values().forEach(DefaultMQPushConsumer::shutdown);
    }

    private String start(String name, String group, String topic) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        clients.configure(consumer, name);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(
                (MessageListenerOrderly)
                        (messages, context) -> {
                            queues.computeIfAbsent(
                                            context.getMessageQueue().toString(), k -> new Queue())
                                    .consume(messages);
                            return ConsumeOrderlyStatus.SUCCESS;
                        });
        consumer.start();
        consumers.put(name, consumer);
        return name;
    }

    private String stop(String name) {
        consumers.remove(name).shutdown();
        return name;
    }

    /** Distinct messages, gaps, overlaps of two listeners in one queue, repeats. */
    private String describe() {
        long[] sums = new long[4];
        for (Queue queue : queues.values()) {
            sums[0] += queue.next.get();
            sums[1] += queue.gaps.get();
            sums[2] += queue.overlaps.get();
            sums[3] += queue.repeats.get();
        }
        return sums[0] + " " + sums[1] + " " + sums[2] + " " + sums[3];
    }
}
