package raftmq.interop;

import org.apache.rocketmq.client.ClientConfig;

/** Settings that all clients of a run share. */
final class Clients {
    private static final int FAST_MS = 1000;
    private final String nameservers;
    private final boolean fast;

    Clients(String nameservers, boolean fast) {
        this.nameservers = nameservers;
        this.fast = fast;
    }

    /**
     * With "fast" only the client's own timers are shortened (30 s each by default), so that a test
     * of what follows a failover need not wait for a poll.
     */
    void configure(ClientConfig config, String instance) {
        config.setNamesrvAddr(nameservers);
        config.setInstanceName(instance);
        if (fast) {
            config.setPollNameServerInterval(FAST_MS);
            config.setHeartbeatBrokerInterval(FAST_MS);
        }
    }
}
