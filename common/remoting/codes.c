#include "common/remoting/codes.h"

const char *request_code_name(int32_t code)
{
    switch (code) {
#define REQUEST_CODE_NAME(name, number, target)                                                    \
    case number:                                                                                   \
        return #name;
        REQUEST_CODE_TABLE(REQUEST_CODE_NAME)
#undef REQUEST_CODE_NAME
    default:
        return "UNKNOWN";
    }
}

const char *response_code_name(int32_t code)
{
    switch (code) {
#define RESPONSE_CODE_NAME(name, number)                                                           \
    case number:                                                                                   \
        return #name;
        RESPONSE_CODE_TABLE(RESPONSE_CODE_NAME)
#undef RESPONSE_CODE_NAME
    default:
        return "UNKNOWN";
    }
}

enum request_target request_code_target(int32_t code)
{
    switch (code) {
#define REQUEST_CODE_TARGET(name, number, target)                                                  \
    case number:                                                                                   \
        return target;
        REQUEST_CODE_TABLE(REQUEST_CODE_TARGET)
#undef REQUEST_CODE_TARGET
    default:
        return TO_NONE;
    }
}
