FROM base
RUN mkdir -p /a/d && echo old >/a/d/f
ADD x.tar /a/
