package raftmq.interop;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * How long a message takes from its intended send time to the listener: at a steady rate, producer
 * and consumer in one process, so that one clock tells both times. The first part is not counted.
 */
final class Latency implements Agent.Part {
    private static final int THREADS = 16;
    private static final int WARM_UP_SECONDS = 10;
    private static final int BODY_SIZE = 1024;
    private final Clients clients;

    Latency(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put(
                "latency",
                words ->
                        measure(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3])));
    }

    /** The count, and p50, p99 and the maximum in microseconds. */
    private String measure(String topic, int rate, int seconds) throws Exception {
        int total = rate * (WARM_UP_SECONDS + seconds);
        int skipped = rate * WARM_UP_SECONDS;
        long[] taken = new long[total];
        AtomicInteger seen = new AtomicInteger();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("Latency");
        clients.configure(consumer, "latency-consumer");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> {
                            long now = System.nanoTime();
                            for (MessageExt message : messages) {
                                ByteBuffer body = ByteBuffer.wrap(message.getBody());
                                taken[body.getInt()] = now - body.getLong();
                                seen.incrementAndGet();
                            }
                            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        });
        consumer.start();
        DefaultMQProducer producer = new DefaultMQProducer("LatencyProducer");
        clients.configure(producer, "latency-producer");
        producer.start();
        sendAll(producer, topic, rate, total);
        for (int i = 0; i < 300 && seen.get() < total; i++) {
            Thread.sleep(100);
        }
        producer.shutdown();
        consumer.shutdown();
        long[] counted = Arrays.stream(taken, skipped, total).filter(t -> t > 0).sorted().toArray();
        return counted.length
                + " "
                + counted[counted.length / 2] / 1000
                + " "
                + counted[(int) (counted.length * 0.99)] / 1000
                + " "
                + counted[counted.length - 1] / 1000;
    }

    private static void sendAll(DefaultMQProducer producer, String topic, int rate, int total)
            throws Exception {
        long begin = System.nanoTime() + 100_000_000L;
        AtomicInteger next = new AtomicInteger();
        Thread[] threads = new Thread[THREADS];
        for (int t = 0; t < THREADS; t++) {
            threads[t] =
                    new Thread(
                            () -> {
                                for (int i; (i = next.getAndIncrement()) < total; ) {
                                    long due = begin + i * 1_000_000_000L / rate;
                                    send(producer, topic, i, due);
                                }
                            });
            threads[t].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void send(DefaultMQProducer producer, String topic, int number, long due) {
        while (System.nanoTime() < due) {
            LockSupport.parkNanos(due - System.nanoTime());
        }
        ByteBuffer body = ByteBuffer.allocate(BODY_SIZE).putInt(number).putLong(due);
        try {
            producer.send(new Message(topic, body.array()));
        } catch (Exception e) {
            System.err.println("not sent: " + e);
        }
    }
}
