"""Coverage-guided fuzzing (atheris) of the outermost function of each prober and reader.

Bytes that come from outside are the input; every one must end in a result, and a result that
blames a defect of ours is a finding as much as an exception that gets out. Run with
``python -m tests.fuzz``; see docs/fuzzing.md.
"""
