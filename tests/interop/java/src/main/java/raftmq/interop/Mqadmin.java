package raftmq.interop;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** Runs mqadmin's own subcommands, all in this process: what each prints is the answer. */
final class Mqadmin implements Agent.Part {
    @Override
    public void register(Map<String, Agent.Command> commands) {
        commands.put("mqadmin", Mqadmin::run);
    }

    /** Arguments come in Base64, since they may hold spaces, and so does the output go. */
    @SuppressWarnings("removal")
    private static String run(String[] words) {
        String[] arguments =
                Arrays.stream(words)
                        .skip(1)
                        .map(w -> new String(Base64.getDecoder().decode(w), StandardCharsets.UTF_8))
                        .toArray(String[]::new);
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream capture = new PrintStream(printed, true, StandardCharsets.UTF_8);
        PrintStream out = System.out;
        PrintStream err = System.err;
        System.setOut(capture);
        System.setErr(capture);
        System.setSecurityManager(new NoExit());
        try {
            MQAdminStartup.main0(arguments, null);
        } catch (SecurityException e) {
            capture.println("mqadmin would have exited");
        } finally {
            System.setSecurityManager(null);
            System.setOut(out);
            System.setErr(err);
        }
        return Base64.getEncoder().encodeToString(printed.toByteArray());
    }

    /** Wrong options make a subcommand end the process, which is ours. */
    @SuppressWarnings("removal")
    private static final class NoExit extends SecurityManager {
        @Override
        public void checkExit(int status) {
            throw new SecurityException("exit " + status);
        }

        @Override
        public void checkPermission(Permission permission) {}
    }
}
