"""How terminals of a dialect sign in: which keys the answer brings, by what the request asks for, and the batch."""

from libc.string cimport memcmp, memcpy, memset
from switch.wire.scan cimport read_text

cdef enum:
    FIELD_ROOM = 1024         # characters of the field that says which form is wanted


cdef int fill_sign_in_rules(SignInRules *rules, form_place, forms, batch_place) except -1:
    cdef bytes code
    if not 1 <= len(forms) <= SIGN_IN_FORMS_MAX:
        raise ValueError(f"needed 1 to {<int>SIGN_IN_FORMS_MAX} forms of a sign-in, have {len(forms)}")
    memset(rules, 0, sizeof(SignInRules))
    rules.field, rules.start, rules.size = form_place
    if rules.field and not 1 <= rules.size <= SIGN_IN_CODE_MAX:
        raise ValueError(f"the form of a sign-in is said in 1 to {<int>SIGN_IN_CODE_MAX} characters")
    rules.batch_field, rules.batch_start = batch_place
    for text, rooms, mac_key, has_track_key, is_sm4 in forms:
        code = text.encode("ascii")
        if len(code) != rules.size:
            raise ValueError(f"the form of a sign-in is said in {rules.size} characters, not {text!r}")
        memcpy(rules.codes[rules.count].text, <const char *>code, len(code))
        for room in rooms:
            rules.codes[rules.count].form.room_mask |= 1 << (room >> 3)
        rules.codes[rules.count].form.mac_key = mac_key
        rules.codes[rules.count].form.has_track_key = has_track_key
        rules.codes[rules.count].form.is_sm4 = is_sm4
        rules.count += 1
    return 0


cdef const SignInForm *form_asked_for(const SignInRules *rules, Spec spec, const MessageIndex *request) noexcept nogil:
    cdef uint8_t text[FIELD_ROOM]
    cdef int i
    if rules.field == 0:
        return &rules.codes[0].form
    if read_text(spec, request, rules.field, text, FIELD_ROOM) < <int>rules.start + rules.size:
        return NULL
    for i in range(rules.count):
        if memcmp(text + rules.start, rules.codes[i].text, rules.size) == 0:
            return &rules.codes[i].form
    return NULL
