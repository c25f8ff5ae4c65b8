package raftmq.interop;

import java.lang.reflect.InvocationTargetException;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The pull consumer, which does nothing by itself, and what is looked up in queues. */
final class Pulls implements Agent.Part {
    private static final long WAIT_MS = 30_000;
    private final Clients clients;
    private DefaultMQPullConsumer puller;
    private DefaultMQAdminExt admin;
    private CompletableFuture<PullResult> blocked;

    Pulls(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("puller", words -> start(words[1]));
        commands.put(
                "pullqueues",
                words -> Queues.printAll(puller.fetchSubscribeMessageQueues(words[1])));
        commands.put(
                "pull",
                words ->
                        print(
                                puller.pull(
                                        queue(words),
                                        words[5],
                                        Long.parseLong(words[3]),
                                        Integer.parseInt(words[4]))));
        commands.put("pullblock", words -> block(queue(words), Long.parseLong(words[3])));
        commands.put(
                "pullblocked", words -> print(blocked.get(WAIT_MS, TimeUnit.MILLISECONDS)));
        commands.put("pullsave", words -> save(queue(words), Long.parseLong(words[3])));
        commands.put(
                "pullsaved",
                words -> String.valueOf(puller.fetchConsumeOffset(queue(words), true)));
        commands.put("ends", words -> ends(queue(words)));
        commands.put(
                "attime",
                words ->
                        String.valueOf(
                                puller.searchOffset(queue(words), Long.parseLong(words[3]))));
        commands.put(
                "boundary", words -> boundary(queue(words), Long.parseLong(words[3]), words[4]));
        commands.put("view", words -> print(puller.viewMessage(words[1], words[2])));
        commands.put("query", words -> query(words[1], words[2]));
    }

    @Override
    public void shutdown() {
        if (puller != null) {
            puller.shutdown();
        }
        if (admin != null) {
            admin.shutdown();
        }
    }

    private static MessageQueue queue(String[] words) {
        return Queues.parse(words[1], words[2]);
    }

    private String start(String group) throws Exception {
        puller = new DefaultMQPullConsumer(group);
        clients.configure(puller, group);
        puller.start();
        return group;
    }

    private static String print(PullResult result) {
        String messages =
                result.getMsgFoundList() == null
                        ? ""
                        : result.getMsgFoundList().stream()
                                .map(Pulls::print)
                                .collect(Collectors.joining(","));
        return result.getPullStatus()
                + " "
                + result.getNextBeginOffset()
                + " "
                + result.getMinOffset()
                + " "
                + result.getMaxOffset()
                + " "
                + messages;
    }

    /** Offset, key, store time, offset message id. */
    private static String print(MessageExt message) {
        String id = ((MessageClientExt) message).getOffsetMsgId();
        return message.getQueueOffset()
                + ":"
                + message.getKeys()
                + ":"
                + message.getStoreTimestamp()
                + ":"
                + id;
    }

    /** Begins a pull that waits for a message; "pullblocked" has what came. */
    private String block(MessageQueue queue, long offset) {
        CompletableFuture<PullResult> result = new CompletableFuture<>();
        blocked = result;
        Thread waiting =
                new Thread(
                        () -> {
                            try {
                                result.complete(
                                        puller.pullBlockIfNotFound(queue, "*", offset, 32));
                            } catch (Exception e) {
                                result.completeExceptionally(e);
                            }
                        });
        waiting.setDaemon(true);
        waiting.start();
        return "";
    }

    private String save(MessageQueue queue, long offset) throws Exception {
        puller.updateConsumeOffset(queue, offset);
        puller.persist(queue);
        return "";
    }

    private String ends(MessageQueue queue) throws Exception {
        return puller.minOffset(queue)
                + " "
                + puller.maxOffset(queue)
                + " "
                + puller.earliestMsgStoreTime(queue);
    }

    /** By "Lower" or "Upper": a method that clients before 5.0 lack. */
    private String boundary(MessageQueue queue, long timeMs, String which) throws Exception {
        if (admin == null) {
            admin = new DefaultMQAdminExt();
            clients.configure(admin, "boundaries");
            admin.start();
        }
        try {
            return String.valueOf(
                    DefaultMQAdminExt.class
                            .getMethod(
                                    "search" + which + "BoundaryOffset",
                                    MessageQueue.class,
                                    long.class)
                            .invoke(admin, queue, timeMs));
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    private String query(String topic, String key) throws Exception {
        QueryResult result = puller.queryMessage(topic, key, 64, 0, Long.MAX_VALUE);
        return result.getMessageList().stream()
                .map(Pulls::print)
                .sorted()
                .collect(Collectors.joining(","));
    }
}
