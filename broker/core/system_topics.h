/* The topics every broker has. Source: TopicConfigManager.init. */
#ifndef BROKER_CORE_SYSTEM_TOPICS_H
#define BROKER_CORE_SYSTEM_TOPICS_H

struct broker;

/* Propose those that are missing. A new leader calls it. */
void system_topics_propose(struct broker *broker);

#endif
