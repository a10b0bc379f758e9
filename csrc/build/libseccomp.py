"""Builds pyoci.seccomp._library: libseccomp's interface for cffi's ABI mode.

The library is opened when a filter is compiled; to build pyoci it need not be there. The numbers are libseccomp's ABI
(seccomp.h), the same in all of 2.x.
"""

import cffi

ffibuilder = cffi.FFI()
ffibuilder.cdef(
    """
    typedef void *scmp_filter_ctx;
    struct scmp_version { unsigned int major, minor, micro; };
    struct scmp_arg_cmp { unsigned int arg; int op; uint64_t datum_a, datum_b; };
    enum { SCMP_FLTATR_API_TSKIP = 5, SCMP_FLTATR_CTL_OPTIMIZE = 8 };
    enum { SCMP_CMP_NE = 1, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_EQ, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ };
    enum { NR_SCMP_ERROR = -1 };
    const struct scmp_version *seccomp_version(void);
    int seccomp_api_set(unsigned int level);
    scmp_filter_ctx seccomp_init(uint32_t def_action);
    void seccomp_release(scmp_filter_ctx ctx);
    uint32_t seccomp_arch_native(void);
    uint32_t seccomp_arch_resolve_name(const char *arch_name);
    int seccomp_arch_add(scmp_filter_ctx ctx, uint32_t arch_token);
    int seccomp_arch_remove(scmp_filter_ctx ctx, uint32_t arch_token);
    int seccomp_merge(scmp_filter_ctx ctx_dst, scmp_filter_ctx ctx_src);
    int seccomp_attr_set(scmp_filter_ctx ctx, int attr, uint32_t value);
    int seccomp_syscall_resolve_name(const char *name);
    int seccomp_syscall_resolve_name_arch(uint32_t arch_token, const char *name);
    int seccomp_rule_add_array(scmp_filter_ctx ctx, uint32_t action, int syscall, unsigned int arg_cnt,
                               const struct scmp_arg_cmp *arg_array);
    int seccomp_export_bpf(const scmp_filter_ctx ctx, int fd);
    """
)
ffibuilder.set_source("pyoci.seccomp._library", None)
