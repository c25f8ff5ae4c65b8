package raftmq.interop;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/** Lite pull consumers: the application polls, and says how far it is. */
final class LitePulls implements Agent.Part {
    private final Clients clients;
    private final Map<String, DefaultLitePullConsumer> consumers = new ConcurrentHashMap<>();

    LitePulls(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("lite", words -> subscribe(words[1], words[2], words[3]));
        commands.put("liteassign", words -> assign(words[1], words[2], words[3], words[4]));
        commands.put("litepoll", words -> poll(words[1], Long.parseLong(words[2])));
        commands.put("litecommit", words -> commit(words[1]));
        commands.put("litesave", words -> save(words[1], words[2], words[3]));
        commands.put("liteseek", words -> seek(words[1], queue(words), words[4]));
        commands.put("litepause", words -> pause(words[1], queues(words)));
        commands.put("literesume", words -> resume(words[1], queues(words)));
        commands.put(
                "litecommitted",
                words -> String.valueOf(consumers.get(words[1]).committed(queue(words))));
        commands.put(
                "liteattime",
                words ->
                        String.valueOf(
                                consumers
                                        .get(words[1])
                                        .offsetForTimestamp(
                                                queue(words), Long.parseLong(words[4]))));
        commands.put("litestop", words -> stop(words[1]));
    }

    @Override
    public void shutdown() {
        consumers.values().forEach(DefaultLitePullConsumer::shutdown);
    }

    private static MessageQueue queue(String[] words) {
        return Queues.parse(words[2], words[3]);
    }

    private static List<MessageQueue> queues(String[] words) {
        return Queues.parseAll(words[2], words[3]);
    }

    private DefaultLitePullConsumer configured(String name, String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        clients.configure(consumer, name);
        consumer.setAutoCommit(false);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    private String subscribe(String name, String group, String topic) throws Exception {
        DefaultLitePullConsumer consumer = configured(name, group);
        consumer.subscribe(topic, "*");
        consumer.start();
        consumers.put(name, consumer);
        return name;
    }

    private String assign(String name, String group, String topic, String queues)
            throws Exception {
        DefaultLitePullConsumer consumer = configured(name, group);
        consumer.start();
        consumer.assign(Queues.parseAll(topic, queues));
        consumers.put(name, consumer);
        return Queues.printAll(consumer.fetchMessageQueues(topic));
    }

    /** What one poll brings: queue, offset and key of each message. */
    private String poll(String name, long timeoutMs) {
        return consumers.get(name).poll(timeoutMs).stream()
                .map(
                        m ->
                                m.getBrokerName()
                                        + ":"
                                        + m.getQueueId()
                                        + ":"
                                        + m.getQueueOffset()
                                        + ":"
                                        + m.getKeys())
                .collect(Collectors.joining(","));
    }

    /** All that was polled; the broker hears of it with the next commit by time, or at the end. */
    private String commit(String name) {
        consumers.get(name).commitSync();
        return "";
    }

    /** The same for some queues, and the broker hears of it now. */
    private String save(String name, String topic, String queues) {
        consumers.get(name).commit(new HashSet<>(Queues.parseAll(topic, queues)), true);
        return "";
    }

    private String seek(String name, MessageQueue queue, String where) throws Exception {
        DefaultLitePullConsumer consumer = consumers.get(name);
        switch (where) {
            case "begin":
                consumer.seekToBegin(queue);
                break;
            case "end":
                consumer.seekToEnd(queue);
                break;
            default:
                consumer.seek(queue, Long.parseLong(where));
        }
        return "";
    }

    private String pause(String name, List<MessageQueue> queues) {
        consumers.get(name).pause(queues);
        return "";
    }

    private String resume(String name, List<MessageQueue> queues) {
        consumers.get(name).resume(queues);
        return "";
    }

    private String stop(String name) {
        consumers.remove(name).shutdown();
        return name;
    }
}
