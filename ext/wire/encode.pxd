"""Python dictionaries to whole messages: for tools, tests and all that runs seldom."""


cpdef tuple encode(object doc_dec, object spec)
