package raftmq.interop;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMachineRoomNearby;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByConfig;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByMachineRoom;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Push consumers that are told how to share queues, or where to begin, and remember by group. Those
 * left at the end go with the process: a client takes up to 3 s to shut down.
 */
final class Members implements Agent.Part {
    private final Clients clients;
    private final Map<String, DefaultMQPushConsumer> consumers = new ConcurrentHashMap<>();

    /** The key of each delivery, by group. */
    private final Map<String, ConcurrentLinkedQueue<String>> seen = new ConcurrentHashMap<>();

    Members(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("member", words -> join(words, strategy(words[3], words[4], words[5])));
        commands.put("memberid", words -> consumers.get(words[1]).buildMQClientId());
        commands.put("memberqueues", words -> queues(consumers.get(words[1]), words[2]));
        commands.put("memberstop", words -> stop(words[1]));
        commands.put("begin", this::begin);
        commands.put("memberseen", words -> seen(words[1]));
    }

    /** By what the strategy is called in subscriptions, less what it puts to its inner one. */
    private static AllocateMessageQueueStrategy strategy(String topic, String name, String more) {
        switch (name) {
            case "AVG":
                return new AllocateMessageQueueAveragely();
            case "AVG_BY_CIRCLE":
                return new AllocateMessageQueueAveragelyByCircle();
            case "CONFIG":
                AllocateMessageQueueByConfig config = new AllocateMessageQueueByConfig();
                config.setMessageQueueList(Queues.parseAll(topic, more));
                return config;
            case "MACHINE_ROOM":
                AllocateMessageQueueByMachineRoom rooms = new AllocateMessageQueueByMachineRoom();
                rooms.setConsumeridcs(new HashSet<>(Arrays.asList(more.split(","))));
                return rooms;
            case "MACHINE_ROOM_NEARBY":
                return new AllocateMachineRoomNearby(
                        new AllocateMessageQueueAveragely(), new Rooms());
            case "CONSISTENT_HASH":
                return new AllocateMessageQueueConsistentHash();
            default:
                throw new IllegalArgumentException(name);
        }
    }

    /** Of a broker "room@name", and of a client "address@room-name". */
    private static final class Rooms implements AllocateMachineRoomNearby.MachineRoomResolver {
        @Override
        public String brokerDeployIn(MessageQueue queue) {
            return queue.getBrokerName().split("@")[0];
        }

        @Override
        public String consumerDeployIn(String clientId) {
            return clientId.split("@")[1].split("-")[0];
        }
    }

    private String join(String[] words, AllocateMessageQueueStrategy strategy) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(words[2]);
        consumer.setAllocateMessageQueueStrategy(strategy);
        return start(words[1], consumer, words[3], ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
    }

    /** Name, group, topic, where to begin, and for a time that: yyyyMMddHHmmss. */
    private String begin(String[] words) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(words[2]);
        if (words.length > 5) {
            consumer.setConsumeTimestamp(words[5]);
        }
        return start(
                words[1], consumer, words[3], ConsumeFromWhere.valueOf("CONSUME_FROM_" + words[4]));
    }

    private String start(
            String name, DefaultMQPushConsumer consumer, String topic, ConsumeFromWhere where)
            throws Exception {
        ConcurrentLinkedQueue<String> keys =
                seen.computeIfAbsent(
                        consumer.getConsumerGroup(), k -> new ConcurrentLinkedQueue<>());
        clients.configure(consumer, name);
        consumer.setConsumeFromWhere(where);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> {
                            messages.forEach(message -> keys.add(message.getKeys()));
                            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        });
        consumer.start();
        consumers.put(name, consumer);
        return "";
    }

    /** Those of a topic that a member has at this moment. */
    private static String queues(DefaultMQPushConsumer member, String topic) {
        List<MessageQueue> held =
                member.getDefaultMQPushConsumerImpl()
                        .getRebalanceImpl()
                        .getProcessQueueTable()
                        .entrySet()
                        .stream()
                        .filter(e -> e.getKey().getTopic().equals(topic))
                        .filter(e -> !e.getValue().isDropped())
                        .map(Map.Entry::getKey)
                        .collect(Collectors.toList());
        return Queues.printAll(held);
    }

    private String stop(String name) {
        consumers.remove(name).shutdown();
        return "";
    }

    /** How many deliveries a group has had, and the keys. */
    private String seen(String group) {
        ConcurrentLinkedQueue<String> keys = seen.get(group);
        Set<String> distinct = new HashSet<>(keys);
        return keys.size() + " " + distinct.stream().sorted().collect(Collectors.joining(","));
    }
}
