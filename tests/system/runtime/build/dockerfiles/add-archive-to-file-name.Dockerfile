FROM base
ADD x.tar /a
