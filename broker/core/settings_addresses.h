/* Which nodes, groups and nameservers there are: the settings `nodes`, `groups`, `namesrvAddr`.
 * Pure; at the start. */
#ifndef BROKER_CORE_SETTINGS_ADDRESSES_H
#define BROKER_CORE_SETTINGS_ADDRESSES_H

#include "broker/core/settings.h"

/* Fill settings->groups with the groups that have a replica on this node, from settings->config,
 * node_id and nothing else.
 * Errors: STATUS_INVALID_ARGUMENT  a name, an id or an address is bad, or there are too many; was
 *                                  logged with what is allowed */
WARN_UNUSED enum status settings_parse_groups(struct settings *settings, const struct log *log);

/* Fill settings->nameservers. Errors: as above. */
WARN_UNUSED enum status settings_parse_nameservers(struct settings *settings,
                                                   const struct log *log);

#endif
