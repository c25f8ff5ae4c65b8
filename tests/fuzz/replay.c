/* Runs a target over files, and over the files of folders: the kept corpus as an ordinary test,
 * without clang. A trouble ends the process; the input's name was printed before it ran. */
#include "common/base/buf.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { INPUT_SIZE_MAX = 1024 * 1024 };

static bool run_file(const char *path)
{
    struct buf bytes = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        return false;
    }
    uint8_t *to = buf_extend(&bytes, INPUT_SIZE_MAX);
    bytes.size = fread(to, 1, INPUT_SIZE_MAX, file);
    fclose(file);
    // A copy of exactly that size, so that reading beyond it is seen.
    uint8_t *exact = mem_alloc(bytes.size == 0 ? 1 : bytes.size);
    memcpy(exact, bytes.data, bytes.size);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, bytes.size);
    free(exact);
    buf_close(&bytes);
    return true;
}

static bool run_folder(const char *path, size_t *count)
{
    struct dirent **entries = NULL;
    int found = scandir(path, &entries, NULL, alphasort);
    bool good = found >= 0;
    for (int i = 0; i < found; i++) {
        if (good && entries[i]->d_name[0] != '.') {
            struct buf name = {0};
            buf_printf(&name, "%s/%s", path, entries[i]->d_name);
            good = run_file(buf_text(&name));
            buf_close(&name);
            (*count)++;
        }
        free(entries[i]);
    }
    free(entries);
    return good;
}

int main(int count, char **arguments)
{
    size_t inputs = 0;
    for (int i = 1; i < count; i++) {
        struct stat about;
        bool folder = stat(arguments[i], &about) == 0 && S_ISDIR(about.st_mode);
        bool good = folder ? run_folder(arguments[i], &inputs) : run_file(arguments[i]);
        if (!good) {
            fprintf(stderr, "cannot read %s\n", arguments[i]);
            return 1;
        }
        inputs += folder ? 0 : 1;
    }
    printf("%zu inputs\n", inputs);
    return inputs == 0;
}
