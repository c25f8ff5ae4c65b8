import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.filter.SqlFilter;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/**
 * What RocketMQ's own library makes of SQL92 filters. Each line of standard input: an expression and
 * a property string, in hexadecimal, a tab between them. Each line of output: TRUE, FALSE, NULL, ERR
 * (does not compile) or FAIL (the evaluation throws).
 */
public final class Oracle {
    private Oracle() {}

    /** Properties as the broker's filter sees them. */
    private static final class Properties implements EvaluationContext {
        private final Map<String, String> values = new HashMap<>();

        Properties(String text) {
            for (String piece : text.split("\u0002")) {
                int split = piece.indexOf('\u0001');
                if (split > 0 && split < piece.length() - 1) {
                    values.put(piece.substring(0, split), piece.substring(split + 1));
                }
            }
        }

        @Override
        public Object get(String name) {
            return values.get(name);
        }

        @Override
        public Map<String, Object> keyValues() {
            return null;
        }
    }

    private static String text(String hexadecimal) {
        byte[] bytes = new byte[hexadecimal.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hexadecimal.substring(2 * i, 2 * i + 2), 16);
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static String outcome(String expression, Properties properties) {
        Expression compiled;
        try {
            compiled = new SqlFilter().compile(expression);
        } catch (Throwable t) { // The broker catches no less.
            return "ERR";
        }
        try {
            return String.valueOf(compiled.evaluate(properties)).toUpperCase();
        } catch (Throwable t) {
            return "FAIL";
        }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            System.out.println(outcome(text(fields[0]), new Properties(text(fields[1]))));
        }
    }
}
