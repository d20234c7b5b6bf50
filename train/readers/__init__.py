"""What readers' marks teach: which of its candidates a model should choose (``preference``), and which poems it should
be likelier to write (``alignment``). Blind readings are made and scored in ``train.evaluation.blind_reading``.
"""
