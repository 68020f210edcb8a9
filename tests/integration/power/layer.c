/* Records what a process does to the files below a folder, so that the folder can be rebuilt as a loss of power would have left it.
 *
 * Loaded with LD_PRELOAD. A seccomp filter sends the system calls that change files to a signal handler, which makes the call and
 * appends a record to a log. So calls that a library makes by itself, without the C library, are seen too. Changes to mapped memory
 * are not seen, nor io_uring, nor what was written before this was loaded. x86-64 only.
 *
 * POWER_ROOT is the folder, without links in its path; POWER_LOG the log, outside of it. A record is a struct record, then its two
 * paths and its data. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, LINK, SYNC_ALL, UNKNOWN };

struct record {
  uint32_t kind, path, other, data; /* lengths of what follows */
  uint64_t time;                    /* nanoseconds since 1970 */
  uint64_t inode, offset;
  uint64_t covers; /* bytes of the log before a sync began */
};

/* The only place from which calls are not caught, at the same address in every process: rax = rdi, and so on; syscall; ret. */
#define STUB 0x10000000000ul
static const unsigned char code[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89,
                                     0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3};
#define AFTER_SYSCALL (STUB + sizeof code - 1)
#define call(number, a, b, c, d, e, f) \
  (((long (*)(long, long, long, long, long, long, long))STUB)(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

static char root[4096];
static size_t root_length;
static int log_file = -1;
static volatile int locked;

static void lock(void) {
  while (__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE)) call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}
static void unlock(void) { __atomic_store_n(&locked, 0, __ATOMIC_RELEASE); }

static int below(const char *path) {
  return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* The path of an open file; 0 if it is not below the folder or has no name any more. */
static int path_of(long file, char *path) {
  char link[64] = "/proc/self/fd/", digits[24];
  int count = 0, at = strlen(link);
  if (file < 0) return 0;
  do digits[count++] = '0' + file % 10; while (file /= 10);
  while (count) link[at++] = digits[--count];
  link[at] = 0;
  long length = call(SYS_readlink, link, path, 4095, 0, 0, 0);
  if (length <= 0) return 0;
  path[length] = 0;
  const char deleted[] = " (deleted)";
  size_t tail = sizeof deleted - 1;
  if ((size_t)length > tail && strcmp(path + length - tail, deleted) == 0) return 0;
  return below(path);
}

/* The absolute path of a name; 0 if it is not below the folder. */
static int resolve(long folder, const char *name, char *path) {
  size_t at = 0;
  if (name[0] != '/') {
    long length;
    if (folder == AT_FDCWD) {
      length = call(SYS_getcwd, path, 4096, 0, 0, 0, 0) - 1;
    } else {
      char whole[4096];
      if (!path_of(folder, whole)) return 0;
      length = strlen(whole);
      memcpy(path, whole, length);
    }
    if (length <= 0) return 0;
    at = length;
    path[at++] = '/';
  }
  /* Leaves out empty parts and ".", and follows "..". */
  while (*name) {
    size_t part = strcspn(name, "/");
    if (part == 2 && name[0] == '.' && name[1] == '.') {
      while (at > 1 && path[at - 1] == '/') at--;
      while (at > 1 && path[at - 1] != '/') at--;
    } else if (part > 0 && !(part == 1 && name[0] == '.')) {
      if (at == 0 || path[at - 1] != '/') path[at++] = '/';
      if (at + part > 4094) return 0;
      memcpy(path + at, name, part);
      at += part;
    }
    name += part;
    while (*name == '/') name++;
  }
  while (at > 1 && path[at - 1] == '/') at--;
  path[at] = 0;
  return below(path);
}

static uint64_t log_size(void) {
  struct stat found;
  return call(SYS_fstat, log_file, &found, 0, 0, 0, 0) == 0 ? found.st_size : 0;
}

static void record(enum kind kind, const char *path, const char *other, uint64_t inode, uint64_t offset, uint64_t covers,
                   const struct iovec *parts, long count, long bytes) {
  struct timespec now;
  call(SYS_clock_gettime, CLOCK_REALTIME, &now, 0, 0, 0, 0);
  struct record head = {kind, path ? strlen(path) : 0, other ? strlen(other) : 0, bytes,
                        now.tv_sec * 1000000000ull + now.tv_nsec, inode, offset, covers};
  struct iovec all[3] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other}};
  call(SYS_writev, log_file, all, 3, 0, 0, 0);
  for (long i = 0; i < count && bytes > 0; i++) {
    long length = (long)parts[i].iov_len < bytes ? (long)parts[i].iov_len : bytes;
    for (long done = 0; done < length;) {
      long written = call(SYS_write, log_file, (char *)parts[i].iov_base + done, length - done, 0, 0, 0);
      if (written <= 0) break;
      done += written;
    }
    bytes -= length;
  }
}

/* Whether an open file is a regular one below the folder. */
static int is_ours(long file, char *path, struct stat *found) {
  return call(SYS_fstat, file, found, 0, 0, 0, 0) == 0 && S_ISREG(found->st_mode) && path_of(file, path);
}

static long write_call(long number, long *a) {
  char path[4096];
  struct stat found;
  if (!is_ours(a[0], path, &found)) return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  struct iovec one = {(void *)a[1], a[2]};
  int vector = number == SYS_writev || number == SYS_pwritev || number == SYS_pwritev2;
  int placed = number == SYS_pwrite64 || number == SYS_pwritev || number == SYS_pwritev2;
  lock();
  long result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result > 0) {
    uint64_t offset = placed ? (uint64_t)a[3] : (uint64_t)call(SYS_lseek, a[0], 0, SEEK_CUR, 0, 0, 0) - result;
    record(WRITE, path, 0, found.st_ino, offset, 0, vector ? (struct iovec *)a[1] : &one, vector ? a[2] : 1, result);
  }
  unlock();
  return result;
}

static long open_call(long number, long *a) {
  char path[4096], named[4096];
  long folder = number == SYS_openat ? (int)a[0] : AT_FDCWD;
  const char *name = (const char *)(number == SYS_openat ? a[1] : a[0]);
  long flags = number == SYS_openat ? a[2] : a[1];
  if (number == SYS_creat) flags = O_CREAT | O_WRONLY | O_TRUNC;
  if ((flags & O_TMPFILE) == O_TMPFILE || !resolve(folder, name, named)) return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  struct stat before, found;
  lock();
  int existed = call(SYS_stat, named, &before, 0, 0, 0, 0) == 0;
  long result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result >= 0 && is_ours(result, path, &found)) {
    if (!existed) record(CREATE, path, 0, found.st_ino, 0, 0, 0, 0, 0);
    else if ((flags & O_TRUNC) && before.st_size > 0) record(TRUNCATE, path, 0, found.st_ino, 0, 0, 0, 0, 0);
  }
  unlock();
  return result;
}

static long names_call(long number, long *a) {
  char path[4096], other[4096];
  enum kind kind;
  long first = AT_FDCWD, second = AT_FDCWD;
  const char *name = (const char *)a[0], *name2 = 0;
  switch (number) {
    case SYS_rename: kind = RENAME; name2 = (char *)a[1]; break;
    case SYS_renameat: case SYS_renameat2: kind = RENAME; first = (int)a[0]; name = (char *)a[1]; second = (int)a[2]; name2 = (char *)a[3]; break;
    case SYS_link: kind = LINK; name2 = (char *)a[1]; break;
    case SYS_linkat: kind = LINK; first = (int)a[0]; name = (char *)a[1]; second = (int)a[2]; name2 = (char *)a[3]; break;
    case SYS_unlink: kind = UNLINK; break;
    case SYS_unlinkat: kind = (a[2] & AT_REMOVEDIR) ? RMDIR : UNLINK; first = (int)a[0]; name = (char *)a[1]; break;
    case SYS_rmdir: kind = RMDIR; break;
    case SYS_mkdir: kind = MKDIR; break;
    case SYS_mkdirat: kind = MKDIR; first = (int)a[0]; name = (char *)a[1]; break;
    case SYS_symlink: kind = UNKNOWN; name = (char *)a[1]; break;
    default: kind = UNKNOWN; first = (int)a[1]; name = (char *)a[2]; break; /* symlinkat */
  }
  int ours = resolve(first, name, path);
  int ours2 = name2 && resolve(second, name2, other);
  if (!ours && !ours2) return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  /* Into the folder or out of it cannot be followed. */
  if (name2 && ours != ours2) kind = UNKNOWN;
  lock();
  long result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result == 0) record(kind, path, name2 ? other : 0, 0, 0, 0, 0, 0, 0);
  unlock();
  return result;
}

static long size_call(long number, long *a) {
  char path[4096];
  struct stat found;
  if (number == SYS_truncate) {
    if (!resolve(AT_FDCWD, (char *)a[0], path)) return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  } else if (!is_ours(a[0], path, &found)) {
    return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  lock();
  long result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result == 0 && call(SYS_stat, path, &found, 0, 0, 0, 0) == 0) {
    enum kind kind = number == SYS_fallocate && (a[1] & ~FALLOC_FL_KEEP_SIZE) ? UNKNOWN : TRUNCATE;
    record(kind, path, 0, found.st_ino, found.st_size, 0, 0, 0, 0);
  }
  unlock();
  return result;
}

static long sync_call(long number, long *a) {
  char path[4096];
  struct stat found = {0};
  int all = number == SYS_sync || number == SYS_syncfs;
  if (!all && !(call(SYS_fstat, a[0], &found, 0, 0, 0, 0) == 0 && path_of(a[0], path))) {
    return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  uint64_t covers = log_size();
  long result = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  lock();
  if (result == 0) record(all ? SYNC_ALL : SYNC, all ? 0 : path, 0, found.st_ino, S_ISDIR(found.st_mode), covers, 0, 0, 0);
  unlock();
  return result;
}

/* Copies in the kernel: refused for files of ours, so that the caller reads and writes. */
static long copy_call(long number, long *a) {
  char path[4096];
  struct stat found;
  long out = number == SYS_sendfile ? a[0] : a[2];
  if (is_ours(out, path, &found)) return number == SYS_copy_file_range ? -ENOSYS : -EINVAL;
  return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void caught(int signal, siginfo_t *info, void *context) {
  (void)signal;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  long a[6] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10], registers[REG_R8], registers[REG_R9]};
  long number = info->si_syscall, result;
  switch (number) {
    case SYS_open: case SYS_openat: case SYS_creat: result = open_call(number, a); break;
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev: case SYS_pwritev2: result = write_call(number, a); break;
    case SYS_ftruncate: case SYS_truncate: case SYS_fallocate: result = size_call(number, a); break;
    case SYS_fsync: case SYS_fdatasync: case SYS_sync: case SYS_syncfs: result = sync_call(number, a); break;
    case SYS_copy_file_range: case SYS_sendfile: case SYS_splice: result = copy_call(number, a); break;
    default: result = names_call(number, a);
  }
  registers[REG_RAX] = result;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define CATCH BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define CATCH_IF(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##number, 0, 1), CATCH

/* Opening is caught only where it may change something: the loader of a new program opens libraries. */
#define CATCH_OPEN(number, flags) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##number, 0, 4), LOAD(args[flags]), \
  BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC, 0, 1), CATCH, ALLOW

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("POWER_ROOT"), *path = getenv("POWER_LOG");
  if (!folder || !path) return;
  strncpy(root, folder, sizeof root - 1);
  root_length = strlen(root);
  void *page = mmap((void *)STUB, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page != (void *)STUB) abort();
  memcpy(page, code, sizeof code);
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC)) abort();
  long opened = call(SYS_open, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600, 0, 0, 0);
  if (opened < 0) abort();
  /* Out of the way of programs that count on the next number. */
  log_file = call(SYS_fcntl, opened, F_DUPFD_CLOEXEC, 900, 0, 0, 0);
  call(SYS_close, opened, 0, 0, 0, 0, 0);
  if (log_file < 0) abort();
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_RESTART};
  if (sigaction(SIGSYS, &action, 0)) abort();
  struct sock_filter rules[] = {
      LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), ALLOW,
      LOAD(instruction_pointer), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)AFTER_SYSCALL, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(AFTER_SYSCALL >> 32), 0, 1), ALLOW,
      LOAD(nr),
      CATCH_OPEN(openat, 2), CATCH_OPEN(open, 1), CATCH_IF(creat),
      CATCH_IF(write), CATCH_IF(pwrite64), CATCH_IF(writev), CATCH_IF(pwritev), CATCH_IF(pwritev2),
      CATCH_IF(ftruncate), CATCH_IF(truncate), CATCH_IF(fallocate),
      CATCH_IF(fsync), CATCH_IF(fdatasync), CATCH_IF(sync), CATCH_IF(syncfs),
      CATCH_IF(copy_file_range), CATCH_IF(sendfile), CATCH_IF(splice),
      CATCH_IF(rename), CATCH_IF(renameat), CATCH_IF(renameat2), CATCH_IF(link), CATCH_IF(linkat), CATCH_IF(unlink), CATCH_IF(unlinkat),
      CATCH_IF(rmdir), CATCH_IF(mkdir), CATCH_IF(mkdirat), CATCH_IF(symlink), CATCH_IF(symlinkat),
      ALLOW};
  struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) abort();
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter)) abort();
}
