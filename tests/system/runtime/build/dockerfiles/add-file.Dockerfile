FROM base
ADD a.txt /a.txt
ADD a.txt b.txt /d/
ADD --chown=me:us a.txt /owned
