// SPDX-License-Identifier: Apache-2.0
// finds_stderrs_number_free inherited|closes|redirects FILE: a program whose data file gets descriptor 2, because it
// was started without a stderr or has closed it; or that redirects its stderr to a log of its own, as servers do.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

int main(int, char** argv) {
    const std::string_view how = argv[1];
    if (how == "closes") close(2);
    const int fd = open(argv[2], O_WRONLY | O_CREAT | (how == "redirects" ? O_APPEND : 0), 0600);
    if (how == "redirects") {
        if (dup2(fd, 2) != 2) return 1;
    } else if (fd != 2) {
        return 1;
    }
    const char* data = "data\n";
    return write(2, data, std::strlen(data)) == 5 ? 0 : 1;
}
