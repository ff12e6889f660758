FROM base
RUN mkdir /a
ADD --chown=7:8 x.tar /a/
