FROM base
RUN mkdir /real && ln -s /real /alias && ln -s /real/f /file
COPY a.txt /alias/
COPY b.txt /file
