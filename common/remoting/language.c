#include "common/remoting/command.h"

static const char *const names[] = {
    "JAVA",  "CPP",  "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY",
    "OTHER", "HTTP", "GO",     "PHP",    "OMS",    "RUST",   "NODE_JS",
};

enum { NAME_COUNT = sizeof names / sizeof names[0] };

const char *language_name(int32_t language)
{
    return names[language >= 0 && language < NAME_COUNT ? language : LANGUAGE_OTHER];
}

int32_t language_parse(struct slice name)
{
    for (int32_t i = 0; i < NAME_COUNT; i++) {
        if (slice_equals_text(name, names[i])) {
            return i;
        }
    }
    return LANGUAGE_UNKNOWN;
}
