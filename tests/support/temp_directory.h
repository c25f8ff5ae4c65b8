/* A directory of one's own under the working directory of the test. */
#ifndef TESTS_SUPPORT_TEMP_DIRECTORY_H
#define TESTS_SUPPORT_TEMP_DIRECTORY_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMP_PATH_MAX = 256 };

struct temp_directory {
    char path[TEMP_PATH_MAX];
};

static inline void temp_directory_make(struct temp_directory *directory)
{
    snprintf(directory->path, sizeof directory->path, "raftmq-test-XXXXXX");
    if (mkdtemp(directory->path) == NULL) {
        abort();
    }
}

/* Remove it with the files in it. */
static inline void temp_directory_remove(const struct temp_directory *directory)
{
    DIR *listing = opendir(directory->path);
    struct dirent *entry = NULL;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char path[2 * TEMP_PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/%s", directory->path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlink(path);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    rmdir(directory->path);
}

#endif
