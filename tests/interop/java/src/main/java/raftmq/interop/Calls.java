package raftmq.interop;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Request and reply: one side asks by a message and waits, the other answers by one. */
final class Calls implements Agent.Part {
    private static final int TIMEOUT_MS = 10_000;
    private final Clients clients;
    private final List<DefaultMQProducer> producers = new CopyOnWriteArrayList<>();
    private final List<DefaultMQPushConsumer> consumers = new CopyOnWriteArrayList<>();
    private DefaultMQProducer asker;

    Calls(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("asker", words -> startAsker(words[1]));
        commands.put("replier", words -> startReplier(words[1], words[2]));
        commands.put("request", words -> request(words[1], words[2]));
    }

    @Override
    public void shutdown() {
        consumers.forEach(DefaultMQPushConsumer::shutdown);
        producers.forEach(DefaultMQProducer::shutdown);
    }

    private DefaultMQProducer producer(String group) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(group);
        clients.configure(producer, group);
        producer.start();
        producers.add(producer);
        return producer;
    }

    private String startAsker(String group) throws Exception {
        asker = producer(group);
        return group;
    }

    private String startReplier(String group, String topic) throws Exception {
        DefaultMQProducer replies = producer(group + "-replies");
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        clients.configure(consumer, group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> {
                            messages.forEach(message -> reply(replies, message));
                            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        });
        consumer.start();
        consumers.add(consumer);
        return group;
    }

    private static void reply(DefaultMQProducer replies, MessageExt message) {
        String text = "to " + new String(message.getBody(), StandardCharsets.UTF_8);
        try {
            replies.send(
                    MessageUtil.createReplyMessage(message, text.getBytes(StandardCharsets.UTF_8)));
        } catch (Exception e) {
            System.err.println("a reply failed: " + e);
        }
    }

    /**
     * By callback: the call of 5.3.3 that waits ends as soon as the request is sent, unless its reply
     * was faster.
     */
    private String request(String topic, String text) throws Exception {
        CompletableFuture<String> answer = new CompletableFuture<>();
        asker.request(
                new Message(topic, text.getBytes(StandardCharsets.UTF_8)),
                new RequestCallback() {
                    @Override
                    public void onSuccess(Message reply) {
                        answer.complete(new String(reply.getBody(), StandardCharsets.UTF_8));
                    }

                    @Override
                    public void onException(Throwable why) {
                        answer.completeExceptionally(why);
                    }
                },
                TIMEOUT_MS);
        return answer.get(2 * TIMEOUT_MS, TimeUnit.MILLISECONDS);
    }
}
