package raftmq.interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.rocketmq.common.message.MessageQueue;

/** Queues as words of commands and answers: "broker:id", several with commas between. */
final class Queues {
    private Queues() {}

    static MessageQueue parse(String topic, String word) {
        int colon = word.lastIndexOf(':');
        return new MessageQueue(
                topic, word.substring(0, colon), Integer.parseInt(word.substring(colon + 1)));
    }

    static List<MessageQueue> parseAll(String topic, String words) {
        List<MessageQueue> queues = new ArrayList<>();
        for (String word : words.split(",")) {
            queues.add(parse(topic, word));
        }
        return queues;
    }

    static String print(MessageQueue queue) {
        return queue.getBrokerName() + ":" + queue.getQueueId();
    }

    static String printAll(Collection<MessageQueue> queues) {
        return queues.stream().sorted().map(Queues::print).collect(Collectors.joining(","));
    }
}
