#include "nameserver/settings.h"

static const struct config_key keys[] = {
    {"listenPort", CONFIG_INTEGER, "9876", 0, 65535, "TCP port; 0 lets the system choose."},
    {"bindAddress", CONFIG_TEXT, "0.0.0.0", 0, 0, "IPv4 address to listen on."},
    {"kvConfigPath", CONFIG_TEXT, "kvConfig.json", 0, 0,
     "File of the key-value configuration (order topics)."},
    {"orderMessageEnable", CONFIG_BOOLEAN, "false", 0, 0,
     "Answer routes with the order configuration of their topic."},
    {"returnOrderTopicConfigToBroker", CONFIG_BOOLEAN, "true", 0, 0,
     "Answer registrations with the order configuration."},
    {"deleteTopicWithBrokerRegistration", CONFIG_BOOLEAN, "false", 0, 0,
     "Forget topics that a broker's changed registration no longer names."},
    {"scanNotActiveBrokerInterval", CONFIG_INTEGER, "5000", 100, 600000,
     "Milliseconds between looks for lapsed brokers."},
    {"serverChannelMaxIdleTimeSeconds", CONFIG_INTEGER, "120", 0, 86400,
     "Close connections idle for so many seconds; 0 = never."},
    {"connectionsMax", CONFIG_INTEGER, "10000", 1, 1000000, "Connections at one time."},
    {"logLevel", CONFIG_TEXT, "info", 0, 0, "debug, info, warn or error."},
};

struct config *nameserver_settings_new(const struct log *log)
{
    return config_new(keys, sizeof keys / sizeof keys[0], log);
}
