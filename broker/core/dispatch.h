/* From request code to processor; the only place that answers errors. Loop thread only. */
#ifndef BROKER_CORE_DISPATCH_H
#define BROKER_CORE_DISPATCH_H

#include "broker/core/request.h"

/* Where a request is processed. */
enum place {
    PLACE_HERE,   /* On any replica. */
    PLACE_LEADER, /* A follower relays it. */
    PLACE_BOTH,   /* Here, and a copy goes to the leader: what connections say of themselves. */
};

struct processor {
    int32_t code;
    enum place place;
    /* STATUS_OK: request->response is to be sent. STATUS_PENDING: the answer comes later, or none
     * is due. Anything else is answered with that status and request->remark. */
    enum status (*process)(struct broker *broker, struct request *request);
};

/* Process a request of a client (not a response). */
void dispatch_request(struct broker *broker, struct channel *channel,
                      const struct command *command);

#endif
