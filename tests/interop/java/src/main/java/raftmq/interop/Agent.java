package raftmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Runs an unmodified RocketMQ client at the command of a test: one command a line on standard
 * input, one answer a line on standard output, "ok ..." or "error ...".
 *
 * <p>The test decides what happens between two commands: it kills leaders, restarts nodes, waits.
 */
public final class Agent {
    private final Map<String, Command> commands = new HashMap<>();
    private final List<Part> parts;

    interface Command {
        String run(String[] arguments) throws Exception;
    }

    /** Some of the client's API, as commands. */
    interface Part {
        void register(Map<String, Command> commands);

        /** Ends what its commands have started. */
        default void shutdown() {}
    }

    private Agent(String nameservers, boolean fast) {
        Clients clients = new Clients(nameservers, fast);
        Consumers consumers = new Consumers(clients);
        parts =
                List.of(
                        new Producers(clients),
                        consumers,
                        new Orderly(clients),
                        new Calls(clients),
                        new Poppers(clients),
                        new Members(clients),
                        new LitePulls(clients),
                        new Pulls(clients),
                        new Sends(clients, consumers),
                        new Traces(clients),
                        new Latency(clients),
                        new Mqadmin());
        parts.forEach(part -> part.register(commands));
        commands.put("lacks", words -> String.valueOf(lacks(words[1], words[2])));
    }

    public static void main(String[] arguments) throws Exception {
        // The client prints to standard output; answers must be alone there.
        PrintStream answers = System.out;
        System.setOut(System.err);
        boolean fast = arguments.length > 1 && arguments[1].equals("fast");
        Agent agent = new Agent(arguments[0], fast);
        answers.println("ok ready");
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            answers.println(agent.answer(line.trim().split(" ")));
            answers.flush();
        }
        agent.parts.forEach(Part::shutdown);
        System.exit(0);
    }

    /** Whether the client has no such class, or the class no method of that name. */
    private static boolean lacks(String name, String method) {
        try {
            return Arrays.stream(Class.forName("org.apache.rocketmq." + name).getMethods())
                    .noneMatch(found -> found.getName().equals(method));
        } catch (ClassNotFoundException e) {
            return true;
        }
    }

    private String answer(String[] words) {
        Command command = commands.get(words[0]);
        if (command == null) {
            return "error unknown command " + words[0];
        }
        try {
            return "ok " + command.run(words);
        } catch (Exception e) {
            return "error " + String.valueOf(e).replace('\n', ' ');
        }
    }
}
