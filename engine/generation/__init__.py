"""From a request to a poem: plan, candidates, decoding, ranking, and the ``Poet`` façade. It knows neither Redis nor
Telegram, and reaches the neural network only through ``engine.model.backend.Backend``.
"""
