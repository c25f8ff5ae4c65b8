/* END_TRANSACTION (37): a producer's decision on a half message.
 *
 * Only apply decides. UNKNOWN is no decision: nothing is logged and, as in RocketMQ, nothing is
 * answered. Source: EndTransactionProcessor, EndTransactionRequestHeader. */
#include "broker/broker.h"
#include "broker/processors.h"

#include <inttypes.h>
