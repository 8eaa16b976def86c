"""Grades of rules, laid out in C: few of each, looked through in the order in which the file has them."""

cimport cython
from libc.stdlib cimport free, realloc
from libc.string cimport memset
from switch.dialect.reasons cimport REASON_AMOUNT_LIMIT, REASON_COUNT_LIMIT

GRADES_MAX = GRADES_ROOM
THENS = ("pass", "shadow", "refuse", "case", "exit")
VALUES = ("amount", "sum", "count", "declines", "decline_share", "merchants", "refund_excess")
AMOUNT_VALUES = ("amount", "sum", "refund_excess")

cdef extern from "stdint.h":
    const int64_t INT64_MIN
    const int64_t INT64_MAX


@cython.final
cdef class Grades:

    def __dealloc__(self):
        free(self._categories)
        free(self._merchants)

    cdef int take(self, terms, Graded *graded, list merchants, dict refusals) except -1:
        cdef Grade *grade
        if self.count + len(terms.exits) + len(terms.bands) > GRADES_ROOM:
            raise ValueError(f"more than {GRADES_ROOM} exits and bands")
        graded.first = <uint16_t>self.count
        graded.exit_count = <uint16_t>len(terms.exits)
        graded.band_count = <uint16_t>len(terms.bands)
        graded.value = VALUES.index(terms.value) if terms.value else 0
        for one, hashes in zip(terms.exits, merchants, strict=True):
            grade = self._next(THEN_EXIT)
            grade.amount_below = one.amount_below
            grade.requests_below = one.requests_below
            grade.entries = one.entries
            self._take_merchants(grade, one.categories, hashes)
        for one in terms.bands:
            grade = self._next(THENS.index(one.then))
            if terms.is_shadow and one.then in ("refuse", "case"):
                grade.then = THEN_SHADOW
            grade.first = INT64_MIN + 1 if one.begin is None else one.begin
            grade.last = INT64_MAX if one.below is None else one.below - 1
            reason = REASON_AMOUNT_LIMIT if terms.value in AMOUNT_VALUES else REASON_COUNT_LIMIT
            refuse_as = one.refuse_as or terms.refuse_as
            grade.reason = refusals[refuse_as] if refuse_as else reason
        return 0

    cdef Grade *_next(self, int then) noexcept:
        cdef Grade *grade = &self._all[self.count]
        memset(grade, 0, sizeof(Grade))
        grade.then = <uint8_t>then
        self.count += 1
        return grade

    cdef int _take_merchants(self, Grade *grade, categories, list hashes) except -1:
        cdef void *grown
        grade.categories, grade.category_count = self._category_count, <uint32_t>len(categories)
        grade.merchants, grade.merchant_count = self._merchant_count, <uint32_t>len(hashes)
        grown = realloc(self._categories, (self._category_count + grade.category_count + 1) * sizeof(uint16_t))
        if grown == NULL:
            raise MemoryError("no memory for the categories")
        self._categories = <uint16_t *>grown
        grown = realloc(self._merchants, (self._merchant_count + grade.merchant_count + 1) * sizeof(uint64_t))
        if grown == NULL:
            raise MemoryError("no memory for the merchants")
        self._merchants = <uint64_t *>grown
        for category in categories:
            self._categories[self._category_count] = category
            self._category_count += 1
        for hashed in hashes:
            self._merchants[self._merchant_count] = hashed
            self._merchant_count += 1
        return 0

    cdef const Grade *at(self, int number) noexcept nogil:
        return &self._all[number]

    cdef int exit_of(self, const Graded *graded, const Looked *looked) noexcept nogil:
        cdef const Grade *grade
        cdef int number
        for number in range(graded.first, graded.first + graded.exit_count):
            grade = &self._all[number]
            if grade.amount_below and looked.amount >= grade.amount_below:
                continue
            if grade.requests_below and looked.requests >= grade.requests_below:
                continue
            if not grade.entries & looked.entry:
                continue
            if grade.category_count and not self._is_category(grade, looked.category):
                continue
            if grade.merchant_count and not self._is_merchant(grade, looked.merchant):
                continue
            return number
        return NO_GRADE

    cdef bint _is_category(self, const Grade *grade, int category) noexcept nogil:
        cdef uint32_t place
        for place in range(grade.category_count):
            if self._categories[grade.categories + place] == category:
                return True
        return False

    cdef bint _is_merchant(self, const Grade *grade, uint64_t merchant) noexcept nogil:
        cdef uint32_t place
        for place in range(grade.merchant_count):
            if self._merchants[grade.merchants + place] == merchant:
                return True
        return False

    cdef int band_of(self, const Graded *graded, int64_t value) noexcept nogil:
        cdef const Grade *grade
        cdef int number, first = graded.first + graded.exit_count
        for number in range(first, first + graded.band_count):
            grade = &self._all[number]
            if grade.first <= value <= grade.last:
                return number
        return NO_GRADE
