package raftmq.interop;

import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** All the ways to send, and whether what was sent arrives as it was. */
final class Sends implements Agent.Part {
    private static final long TIMEOUT_MS = 10_000;
    private static final int BATCH_SIZE_MAX = 1024 * 1024;
    private final Clients clients;
    private final Consumers consumers;
    private DefaultMQProducer sender;

    Sends(Clients clients, Consumers consumers) {
        this.clients = clients;
        this.consumers = consumers;
    }

    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("sender", words -> start(words[1]));
        commands.put("tune", words -> tune(words[1], words[2]));
        commands.put("sendto", words -> sendTo(words[1], words[2], words[3]));
        commands.put("sendasync", words -> sendAsync(words[1], words[2]));
        commands.put("sendoneway", words -> sendOneway(words[1], words[2]));
        commands.put("sendtagged", words -> sendTagged(words[1], words[2], words.length > 3));
        commands.put("sendkeys", this::sendKeys);
        commands.put(
                "sendbatch",
                words ->
                        sendBatch(
                                words[1],
                                words[2],
                                Integer.parseInt(words[3]),
                                Integer.parseInt(words[4])));
        commands.put(
                "sendbody",
                words -> sendBody(words[1], words[2], Integer.parseInt(words[3]), words[4]));
        commands.put("body", words -> describeBody(words[1]));
        commands.put("sendproperties", words -> sendProperties(words[1], words[2]));
        commands.put("properties", words -> compareProperties(words[1]));
    }

    @Override
    public void shutdown() {
        if (sender != null) {
            sender.shutdown();
        }
    }

    private String start(String group) throws Exception {
        sender = new DefaultMQProducer(group);
        clients.configure(sender, group);
        sender.setSendMsgTimeout((int) TIMEOUT_MS);
        sender.start();
        return group;
    }

    /** A setting: a number, or a way to compress, of which clients before 5.0 know only one. */
    private String tune(String setting, String value) throws Exception {
        Method setter =
                Arrays.stream(DefaultMQProducer.class.getMethods())
                        .filter(m -> m.getName().equals("set" + setting))
                        .findFirst()
                        .orElseThrow();
        Class<?> type = setter.getParameterTypes()[0];
        Object argument =
                type == int.class
                        ? (Object) Integer.valueOf(value)
                        : type.getMethod("valueOf", String.class).invoke(null, value);
        setter.invoke(sender, argument);
        return "";
    }

    private static Message message(String topic, String key) {
        return new Message(topic, "t", key, ("body of " + key).getBytes(StandardCharsets.UTF_8));
    }

    private static String describe(SendResult result) {
        return result.getSendStatus()
                + " "
                + Queues.print(result.getMessageQueue())
                + " "
                + result.getQueueOffset()
                + " "
                + result.getOffsetMsgId()
                + " "
                + result.getMsgId();
    }

    private String sendTo(String topic, String queue, String key) throws Exception {
        return describe(sender.send(message(topic, key), Queues.parse(topic, queue)));
    }

    private String sendAsync(String topic, String key) throws Exception {
        CompletableFuture<SendResult> result = new CompletableFuture<>();
        sender.send(
                message(topic, key),
                new SendCallback() {
                    @Override
                    public void onSuccess(SendResult sent) {
                        result.complete(sent);
                    }

                    @Override
                    public void onException(Throwable why) {
                        result.completeExceptionally(why);
                    }
                });
        return describe(result.get(TIMEOUT_MS, TimeUnit.MILLISECONDS));
    }

    private String sendOneway(String topic, String key) throws Exception {
        sender.sendOneway(message(topic, key));
        return "";
    }

    /** With empty tags, or none at all. */
    private String sendTagged(String topic, String key, boolean none) throws Exception {
        Message message = message(topic, key);
        if (none) {
            message = new Message(topic, message.getBody());
            message.setKeys(key);
        } else {
            message.setTags("");
        }
        return describe(sender.send(message));
    }

    private String sendKeys(String[] words) throws Exception {
        Message message = new Message(words[1], "keys".getBytes(StandardCharsets.UTF_8));
        message.setKeys(Arrays.asList(words).subList(2, words.length));
        return describe(sender.send(message));
    }

    /** As many batches as it takes at a MiB each; the answer of each one. */
    private String sendBatch(String topic, String prefix, int count, int bodySize)
            throws Exception {
        List<Message> batch = new ArrayList<>();
        StringBuilder answers = new StringBuilder();
        int size = 0;
        for (int i = 0; i < count; i++) {
            Message message = new Message(topic, "t", prefix + i, body(bodySize, "text"));
            int entry = bodySize + 200; // What surrounds the body.
            if (size + entry > BATCH_SIZE_MAX) {
                answers.append(describe(sender.send(batch))).append(';');
                batch.clear();
                size = 0;
            }
            batch.add(message);
            size += entry;
        }
        return answers + describe(sender.send(batch));
    }

    /** Text gets smaller when it is compressed, noise does not. */
    private static byte[] body(int size, String kind) {
        byte[] body = new byte[size];
        if (kind.equals("noise")) {
            new Random(size).nextBytes(body);
        } else {
            for (int i = 0; i < size; i++) {
                body[i] = (byte) ('a' + i / 7 % 26);
            }
        }
        return body;
    }

    private static long checksum(byte[] body) {
        CRC32 sum = new CRC32();
        sum.update(body);
        return sum.getValue();
    }

    /** The checksum of what was sent. */
    private String sendBody(String topic, String key, int size, String kind) throws Exception {
        byte[] body = body(size, kind);
        // The client puts the compressed body there for the send.
        long sum = checksum(body);
        sender.send(new Message(topic, "t", key, body));
        return String.valueOf(sum);
    }

    /** Of the last message with that key: its body's size and checksum, and how it was stored. */
    private String describeBody(String key) {
        MessageExt message = consumers.last(key);
        return message == null
                ? ""
                : message.getBody().length
                        + " "
                        + checksum(message.getBody())
                        + " "
                        + message.getStoreSize();
    }

    /** All but 1 and 2, which end names and values, and whose every char stands for itself. */
    private static Map<String, String> allProperties() {
        StringBuilder all = new StringBuilder();
        for (char c = 0; c < 0x800; c++) {
            if (c != 1 && c != 2) {
                all.append(c);
            }
        }
        all.append("\u20ac\u4e2d\u6587\uffee\ud83d\ude80");
        Map<String, String> properties = new TreeMap<>();
        properties.put("all", all.toString());
        properties.put("name of = ; : \" \\ \n \u00fc \ud83d\ude80", "in a name, too");
        properties.put(" leading", " spaces ");
        properties.put("equals", "a=b;c=d");
        properties.put("json", "{\"a\":[1,\"\\u0001\"]}");
        properties.put("long", "x".repeat(20_000));
        return properties;
    }

    private String sendProperties(String topic, String key) throws Exception {
        Message message = message(topic, key);
        allProperties().forEach(message::putUserProperty);
        return describe(sender.send(message));
    }

    /** The names of those that did not arrive as they were sent, in their Java form. */
    private String compareProperties(String key) {
        MessageExt message = consumers.last(key);
        StringBuilder different = new StringBuilder();
        allProperties()
                .forEach(
                        (name, value) -> {
                            if (!value.equals(message.getUserProperty(name))) {
                                different.append(name.replace('\n', ' ')).append(' ');
                            }
                        });
        return different.toString();
    }
}
