"""The values of keys that params.yaml leaves out, where a result depends on them: a file for each user of such values.

DVC compares only the keys that params.yaml has. So these files count as code of the stages that use the values, and an edit
runs them again; the rest of :mod:`gaitpress.params` changes no result. None and empty lists need no name: they leave a thing
out.
"""
