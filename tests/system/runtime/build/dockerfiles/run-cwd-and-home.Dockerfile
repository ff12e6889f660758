FROM base
WORKDIR /w
RUN echo $PWD $HOME >/x
USER me
RUN echo $PWD $HOME >/tmp/y
