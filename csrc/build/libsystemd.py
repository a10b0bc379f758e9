"""Builds pyoci.cgroups.systemd._library: the part of libsystemd that speaks D-Bus (man 3 sd-bus), for cffi's ABI mode.

The library is opened when systemd is talked to; to build pyoci it need not be there. All of this is in systemd 237 and
later, and its ABI does not change.
"""

import cffi

ffibuilder = cffi.FFI()
ffibuilder.cdef(
    """
    typedef struct sd_bus sd_bus;
    typedef struct sd_bus_message sd_bus_message;
    typedef struct { const char *name, *message; int need_free; } sd_bus_error;
    enum { SD_BUS_MESSAGE_METHOD_CALL = 1, SD_BUS_MESSAGE_METHOD_RETURN, SD_BUS_MESSAGE_METHOD_ERROR };

    int sd_bus_new(sd_bus **ret);
    int sd_bus_set_address(sd_bus *bus, const char *address);
    int sd_bus_set_bus_client(sd_bus *bus, int b);
    int sd_bus_negotiate_fds(sd_bus *bus, int b);
    int sd_bus_start(sd_bus *bus);
    int sd_bus_is_ready(sd_bus *bus);
    int sd_bus_send(sd_bus *bus, sd_bus_message *m, uint64_t *cookie);
    int sd_bus_process(sd_bus *bus, sd_bus_message **ret);
    int sd_bus_wait(sd_bus *bus, uint64_t timeout_usec);
    void sd_bus_close(sd_bus *bus);
    sd_bus *sd_bus_unref(sd_bus *bus);

    int sd_bus_message_new_method_call(sd_bus *bus, sd_bus_message **m, const char *destination, const char *path,
                                       const char *interface, const char *member);
    int sd_bus_message_append_basic(sd_bus_message *m, char type, const void *p);
    int sd_bus_message_append_array(sd_bus_message *m, char type, const void *ptr, size_t size);
    int sd_bus_message_open_container(sd_bus_message *m, char type, const char *contents);
    int sd_bus_message_close_container(sd_bus_message *m);
    int sd_bus_message_get_type(sd_bus_message *m, uint8_t *type);
    int sd_bus_message_get_reply_cookie(sd_bus_message *m, uint64_t *cookie);
    const sd_bus_error *sd_bus_message_get_error(sd_bus_message *m);
    int sd_bus_message_is_signal(sd_bus_message *m, const char *interface, const char *member);
    int sd_bus_message_peek_type(sd_bus_message *m, char *type, const char **contents);
    int sd_bus_message_enter_container(sd_bus_message *m, char type, const char *contents);
    int sd_bus_message_exit_container(sd_bus_message *m);
    int sd_bus_message_read_basic(sd_bus_message *m, char type, void *p);
    sd_bus_message *sd_bus_message_unref(sd_bus_message *m);
    """
)
ffibuilder.set_source("pyoci.cgroups.systemd._library", None)
