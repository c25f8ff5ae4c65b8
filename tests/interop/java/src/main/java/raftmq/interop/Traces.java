package raftmq.interop;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Clients that leave traces of their messages in a topic of the broker. */
final class Traces implements Agent.Part {
    private static final String TOPIC = "RMQ_SYS_TRACE_TOPIC";
    private final Clients clients;
    private DefaultMQProducer producer;
    private TransactionMQProducer transactions;
    private DefaultMQPushConsumer consumer;
    private DefaultMQAdminExt admin;

    Traces(Clients clients) {
        this.clients = clients;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("traced", words -> start(words[1], words[2]));
        commands.put("tracedsend", words -> send(producer, words[1], words[2]));
        commands.put("tracedhalf", words -> half(words[1], words[2]));
        commands.put("traces", words -> traces(words[1]));
    }

    @Override
    public void shutdown() {
        if (producer != null) {
            producer.shutdown();
            transactions.shutdown();
            consumer.shutdown();
            admin.shutdown();
        }
    }

    private String start(String group, String topic) throws Exception {
        producer = new DefaultMQProducer(group, null, true, null);
        clients.configure(producer, group);
        producer.start();
        transactions = new TransactionMQProducer(null, group + "-tx", null, true, null);
        clients.configure(transactions, group + "-tx");
        transactions.setTransactionListener(
                new TransactionListener() {
                    @Override
                    public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                        return LocalTransactionState.COMMIT_MESSAGE;
                    }

                    @Override
                    public LocalTransactionState checkLocalTransaction(MessageExt m) {
                        return LocalTransactionState.COMMIT_MESSAGE;
                    }
                });
        transactions.start();
        consumer = new DefaultMQPushConsumer(group + "-c", true, null);
        clients.configure(consumer, group + "-c");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        consumer.start();
        admin = new DefaultMQAdminExt();
        clients.configure(admin, group + "-a");
        admin.start();
        return group;
    }

    private static Message message(String topic, String key) {
        return new Message(topic, "t", key, key.getBytes(StandardCharsets.UTF_8));
    }

    private static String send(DefaultMQProducer producer, String topic, String key)
            throws Exception {
        return producer.send(message(topic, key)).getMsgId();
    }

    private String half(String topic, String key) throws Exception {
        return transactions.sendMessageInTransaction(message(topic, key), null).getMsgId();
    }

    /** The kinds of records that there are of a message, as it is: found by the message's id. */
    private String traces(String id) throws Exception {
        TreeSet<String> kinds = new TreeSet<>();
        for (MessageExt found :
                admin.queryMessage(TOPIC, id, 64, 0, Long.MAX_VALUE).getMessageList()) {
            String text = new String(found.getBody(), StandardCharsets.UTF_8);
            for (String record : text.split("\u0002")) {
                if (record.contains(id)) {
                    kinds.add(record.split("\u0001")[0]);
                }
            }
        }
        return String.join(" ", kinds);
    }
}
