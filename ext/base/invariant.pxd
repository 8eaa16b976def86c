"""What must hold however bad the input is: else memory is wrong, and the process ends before it moves money by it.

A frame, a record of a damaged journal or a configuration never breaks an invariant: what is wrong there is an error.
The journal has all that is needed to go on, so whoever starts the process again loses nothing. Unlike C's ``assert``
these stand in every build; each costs a comparison and a branch that is never taken.
"""

cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    #ifndef AUTHSWITCH_INVARIANT
    #define AUTHSWITCH_INVARIANT
    __attribute__((cold, noinline, noreturn, unused)) static void invariant_broken(const char *what) {
        static const char words[] = "invariant broken: ";
        char line[160];
        size_t size = strnlen(what, sizeof(line) - sizeof(words));
        memcpy(line, words, sizeof(words) - 1);
        memcpy(line + sizeof(words) - 1, what, size);
        size += sizeof(words) - 1;
        line[size++] = '\\n';
        if (write(STDERR_FILENO, line, size) < 0) {}
        abort();
    }
    #define ensure(holds, what) (__builtin_expect(!(holds), 0) ? invariant_broken(what) : (void)0)
    #endif
    """
    void ensure(bint holds, const char *what) noexcept nogil
