/* What an operator can set, under RocketMQ's namesrv.conf names where they mean the same. */
#ifndef NAMESERVER_SETTINGS_H
#define NAMESERVER_SETTINGS_H

#include "common/base/config.h"

/* A config of the nameserver's keys, at their defaults. The caller frees it. */
struct config *nameserver_settings_new(const struct log *log);

#endif
