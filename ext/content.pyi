# Content classes are for compiled callers; Python finds nothing here.
