FROM base
RUN mkdir /d && echo 1 >/d/a && echo 2 >/d/b
RUN rm /d/a && rm -r /root
RUN rm -r /d && mkdir /d && echo 3 >/d/c
