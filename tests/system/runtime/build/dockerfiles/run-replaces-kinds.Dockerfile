FROM base
RUN mkdir /a && touch /a/x /b && ln -s /a /c
RUN rm -r /a && echo file >/a && rm /b && mkdir /b && rm /c && mkdir -p /c/d
