package raftmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Runs an unmodified RocketMQ client at the command of a test: one command a line on standard
 * input, one answer a line on standard output, "ok ..." or "error ...".
 *
 * <p>The test decides what happens between two commands: it kills leaders, restarts nodes, waits.
 */
public final class Agent {
    private final Map<String, Command> commands = new HashMap<>();
    private final Producers producers;
    private final Consumers consumers = new Consumers();
    private final Orderly orderly;
    private final Calls calls;
    private final Poppers poppers;

    interface Command {
        String run(String[] arguments) throws Exception;
    }

    private Agent(String nameservers, boolean fast) {
        Clients clients = new Clients(nameservers, fast);
        producers = new Producers(clients);
        orderly = new Orderly(clients);
        calls = new Calls(clients);
        poppers = new Poppers(clients);
        consumers.use(clients);
        producers.register(commands);
        consumers.register(commands);
        orderly.register(commands);
        calls.register(commands);
        poppers.register(commands);
        new Latency(clients).register(commands);
        new Mqadmin().register(commands);
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
        agent.producers.shutdown();
        agent.consumers.shutdown();
        agent.orderly.shutdown();
        agent.calls.shutdown();
        agent.poppers.shutdown();
        System.exit(0);
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
