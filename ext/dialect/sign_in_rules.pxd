"""How terminals of a dialect sign in: which keys the answer brings, by what the request asks for, and the batch."""

from libc.stdint cimport uint8_t
from switch.crypto.sign_in_keys cimport SignInForm
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec

cdef enum:
    SIGN_IN_FORMS_MAX = 8
    SIGN_IN_CODE_MAX = 12     # characters by which a request asks for a form

cdef struct SignInCode:       # a way to ask, and what is answered
    uint8_t text[SIGN_IN_CODE_MAX]
    SignInForm form

cdef struct SignInRules:
    uint8_t field             # where a request says which form it wants; 0: all get the first one
    uint8_t start
    uint8_t size
    uint8_t count
    SignInCode codes[SIGN_IN_FORMS_MAX]
    uint8_t batch_field       # where the batch number stands, in the request and in the answer; 0: nowhere
    uint8_t batch_start


cdef int fill_sign_in_rules(SignInRules *rules, form_place, forms, batch_place) except -1
"""Fill them from Python values; see ``DialectTables``."""

cdef const SignInForm *form_asked_for(const SignInRules *rules, Spec spec, const MessageIndex *request) noexcept nogil
"""The form that a sign-in asks for; NULL when the dialect offers none such."""
