# The DAG of dvc.yaml, run in parallel or on a cluster: `snakemake --cores 8 all`.
#
# Every stage of dvc.yaml becomes one rule, and every item of its matrix one job. A job lets DVC run that stage if, and only
# if, its content is out of date; DVC has been asked before which are, and only their jobs start.
import sys

sys.path.insert(0, workflow.basedir)
from workflow.snakemake.reading import read
from workflow.snakemake.rules import AXES

rules_of = read(workflow, sys.argv)


wildcard_constraints:
    **AXES,


onstart:
    rules_of.session.look_for_jobs_when_one_has_ended()
    rules_of.print_time_left()


rule all:
    input:
        rules_of.pipeline.targets(),


for stage in rules_of.pipeline.stages.values():

    rule:
        name:
            stage.name
        input:
            rules_of.inputs(stage),
        output:
            rules_of.outputs(stage),
        log:
            stage.log(),
        priority: rules_of.priority(stage)
        localrule: rules_of.stays_here(stage)
        threads: rules_of.threads(stage)
        resources:
            **rules_of.resources(stage),
        params:
            address=stage.address,
        shell:
            'python -m workflow.dvc.run_stage {params.address:q} --on "$(uname -n)" > {log:q} 2>&1'
            " || {{ tail -n 25 {log:q} >&2; exit 1; }}"
