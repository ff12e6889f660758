FROM base
USER me
RUN id -u >/tmp/u && id -g >>/tmp/u && id -G >>/tmp/u
USER 5:6
RUN id -u >/tmp/v && id -g >>/tmp/v
USER root
